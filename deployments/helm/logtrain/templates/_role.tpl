{{/* A ClusterRole and its binding: (list . NAME-SUFFIX RULES). */}}
{{- define "logtrain.role" -}}
{{- $ := index . 0 }}
{{- $name := printf "%s%s" (include "logtrain.clusterName" $) (index . 1) }}
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: {{ $name }}
  labels:
    {{- include "logtrain.labels" $ | nindent 4 }}
rules:
  {{- index . 2 | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: {{ $name }}
  labels:
    {{- include "logtrain.labels" $ | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: {{ $name }}
subjects:
  - kind: ServiceAccount
    name: {{ include "logtrain.serviceAccount" $ }}
    namespace: {{ $.Release.Namespace }}
{{- end }}

{{- define "logtrain.rules.read" -}}
- apiGroups: [""]
  resources: [pods, namespaces]
  verbs: [get, list, watch]
- apiGroups: [apps]
  resources: [deployments, statefulsets, daemonsets, replicasets]
  verbs: [get, list, watch]
- apiGroups: [discovery.k8s.io] # the API server's own addresses, which no drain of a workload may reach
  resources: [endpointslices]
  resourceNames: [kubernetes]
  verbs: [get]
- apiGroups: [batch]
  resources: [jobs, cronjobs]
  verbs: [get, list, watch]
{{- end }}

{{- define "logtrain.rules.events" -}}
- apiGroups: [""]
  resources: [events]
  verbs: [create]
{{- end }}

{{- define "logtrain.rules.reviews" -}}
- apiGroups: [authentication.k8s.io]
  resources: [tokenreviews]
  verbs: [create]
- apiGroups: [authorization.k8s.io]
  resources: [subjectaccessreviews]
  verbs: [create]
{{- end }}

{{- define "logtrain.rules.openshift" -}}
- apiGroups: [security.openshift.io]
  resources: [securitycontextconstraints]
  resourceNames: [{{ include "logtrain.clusterName" . }}]
  verbs: [use]
{{- end }}
