{{/* The variables of the network inputs that are on. */}}
{{- define "logtrain.inputEnv" -}}
{{- $i := .Values.inputs }}
{{- if $i.httpEvents.enabled }}
- name: HTTP_EVENTS
  value: "true"
{{- if ne $i.httpEvents.path "/events" }}
- name: HTTP_EVENTS_PATH
  value: {{ $i.httpEvents.path | quote }}
{{- end }}
{{- end }}
{{- if $i.httpSyslog.enabled }}
- name: HTTP_SYSLOG
  value: "true"
{{- if ne $i.httpSyslog.path "/syslog" }}
- name: HTTP_SYSLOG_PATH
  value: {{ $i.httpSyslog.path | quote }}
{{- end }}
{{- end }}
{{- if and $i.httpTokenSecret (or $i.httpEvents.enabled $i.httpSyslog.enabled) }}
- name: HTTP_TOKEN_FILE
  value: /etc/logtrain-http/token
{{- end }}
{{- range list (list "SYSLOG_TCP" $i.syslogTcp 9002) (list "SYSLOG_UDP" $i.syslogUdp 9003) (list "SYSLOG_TLS" $i.syslogTls 9004) (list "ENVOY" $i.envoy 9001) }}
{{- $name := index . 0 }}
{{- $input := index . 1 }}
{{- if $input.enabled }}
- name: {{ $name }}
  value: "true"
{{- if ne (int $input.port) (index . 2) }}
- name: {{ $name }}_PORT
  value: {{ $input.port | quote }}
{{- end }}
{{- $at := printf "/etc/logtrain-%s" ($name | lower | replace "_" "-") }}
{{- if $input.tlsSecret }}
- name: {{ $name }}_{{ if eq $name "ENVOY" }}TLS_{{ end }}CERT_PEM_FILE
  value: {{ $at }}/tls.crt
- name: {{ $name }}_{{ if eq $name "ENVOY" }}TLS_{{ end }}KEY_PEM_FILE
  value: {{ $at }}/tls.key
{{- end }}
{{- if $input.clientCaSecret }}
- name: {{ $name }}_{{ if eq $name "ENVOY" }}TLS_{{ end }}CLIENT_CA_PEM_FILE
  value: {{ $at }}-ca/ca.crt
{{- end }}
{{- end }}
{{- end }}
{{- if and (include "logtrain.inputs" .) $i.spool.enabled }}
- name: SPOOL_PATH
  value: /var/lib/logtrain/spool
- name: JOURNAL_BYTES_MAX
  value: {{ $i.spool.bytesMax | quote }}
- name: JOURNAL_HOST_BYTES_MAX
  value: {{ $i.spool.hostBytesMax | quote }}
{{- end }}
{{- end }}

{{/* The Secrets that are mounted: name, secret and path of each. */}}
{{- define "logtrain.secretVolumes" -}}
{{- $i := .Values.inputs }}
{{- $all := list }}
{{- with .Values.http.adminTokenSecret }}{{ $all = append $all (dict "name" "admin-token" "secret" . "path" "/etc/logtrain-admin") }}{{ end }}
{{- if and $i.httpTokenSecret (or $i.httpEvents.enabled $i.httpSyslog.enabled) }}{{ $all = append $all (dict "name" "http-token" "secret" $i.httpTokenSecret "path" "/etc/logtrain-http") }}{{ end }}
{{- range list (list "syslog-tls" $i.syslogTls) (list "envoy" $i.envoy) }}
{{- $name := index . 0 }}
{{- $input := index . 1 }}
{{- if $input.enabled }}
{{- with $input.tlsSecret }}{{ $all = append $all (dict "name" $name "secret" . "path" (printf "/etc/logtrain-%s" $name)) }}{{ end }}
{{- with $input.clientCaSecret }}{{ $all = append $all (dict "name" (printf "%s-ca" $name) "secret" . "path" (printf "/etc/logtrain-%s-ca" $name)) }}{{ end }}
{{- end }}
{{- end }}
{{- dict "volumes" $all | toJson }}
{{- end }}
