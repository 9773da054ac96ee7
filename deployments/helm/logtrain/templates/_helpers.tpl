{{- define "logtrain.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "logtrain.fullname" -}}
{{- $name := include "logtrain.name" . }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* What is the cluster's and not a namespace's has the namespace in its name, unless that is where it says `logtrain` anyway. */}}
{{- define "logtrain.clusterName" -}}
{{- $full := include "logtrain.fullname" . }}
{{- if or (eq .Release.Namespace $full) (eq .Release.Namespace "kube-system") }}{{ $full }}{{ else }}{{ printf "%s-%s" $full .Release.Namespace | trunc 63 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "logtrain.selector" -}}
app.kubernetes.io/name: {{ include "logtrain.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "logtrain.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "logtrain.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "logtrain.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}
{{- .Values.serviceAccount.name | default (include "logtrain.fullname" .) }}
{{- else }}
{{- .Values.serviceAccount.name | default "default" }}
{{- end }}
{{- end }}

{{- define "logtrain.image" -}}
{{- if .Values.image.digest }}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) }}
{{- end }}
{{- end }}

{{/* The value of a variable as text: a large number of a values file is a float, and would read 1e+07. */}}
{{- define "logtrain.text" -}}
{{- if kindIs "float64" . }}{{ int64 . }}{{ else }}{{ toString . }}{{ end }}
{{- end }}

{{/* "true" when some network input is on; "" else. */}}
{{- define "logtrain.inputs" -}}
{{- $i := .Values.inputs }}
{{- if or $i.syslogTcp.enabled $i.syslogUdp.enabled $i.syslogTls.enabled $i.httpEvents.enabled $i.httpSyslog.enabled $i.envoy.enabled }}true{{ end }}
{{- end }}

{{/* The network inputs that have a port of their own, as a map with a list `ports`. */}}
{{- define "logtrain.inputPorts" -}}
{{- $i := .Values.inputs }}
{{- $ports := list }}
{{- if $i.envoy.enabled }}{{ $ports = append $ports (dict "name" "envoy" "service" "grpc-envoy" "port" $i.envoy.port "protocol" "TCP") }}{{ end }}
{{- if $i.syslogTcp.enabled }}{{ $ports = append $ports (dict "name" "syslog-tcp" "service" "tcp-syslog" "port" $i.syslogTcp.port "protocol" "TCP") }}{{ end }}
{{- if $i.syslogUdp.enabled }}{{ $ports = append $ports (dict "name" "syslog-udp" "service" "udp-syslog" "port" $i.syslogUdp.port "protocol" "UDP") }}{{ end }}
{{- if $i.syslogTls.enabled }}{{ $ports = append $ports (dict "name" "syslog-tls" "service" "tls-syslog" "port" $i.syslogTls.port "protocol" "TCP") }}{{ end }}
{{- dict "ports" $ports | toJson }}
{{- end }}

{{- define "logtrain.memoryLimit" -}}
{{- if .Values.resources.limits.memory }}{{ .Values.resources.limits.memory }}
{{- else if include "logtrain.inputs" . }}320Mi
{{- else }}96Mi
{{- end }}
{{- end }}

{{- define "logtrain.selinuxType" -}}
{{- .Values.selinux.type | default (ternary "spc_t" "" .Values.openshift.enabled) }}
{{- end }}

{{- define "logtrain.usesRoutes" -}}
{{- if or .Values.routes .Values.existingRoutesSecret }}true{{ end }}
{{- end }}

{{/* Combinations that the schema cannot refuse. */}}
{{- define "logtrain.check" -}}
{{- $v := .Values }}
{{- if and $v.routes $v.existingRoutesSecret }}{{ fail "routes and existingRoutesSecret are both set: have one" }}{{ end }}
{{- if and $v.postgres.enabled (not $v.postgres.existingSecret) }}{{ fail "postgres.enabled needs postgres.existingSecret, a Secret with the database's URL" }}{{ end }}
{{- if and $v.inputs.syslogTls.enabled (not $v.inputs.syslogTls.tlsSecret) }}{{ fail "inputs.syslogTls.enabled needs inputs.syslogTls.tlsSecret" }}{{ end }}
{{- if and $v.inputs.envoy.clientCaSecret (not $v.inputs.envoy.tlsSecret) }}{{ fail "inputs.envoy.clientCaSecret needs inputs.envoy.tlsSecret" }}{{ end }}
{{- if not (or $v.annotations $v.postgres.enabled (include "logtrain.usesRoutes" .) $v.extraArgs) }}{{ fail "there are no routes: set annotations, routes, existingRoutesSecret or postgres.enabled" }}{{ end }}
{{- end }}
