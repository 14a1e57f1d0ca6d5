{{- define "pilot-core.selector" -}}
app.kubernetes.io/name: pilot-core
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}
{{- define "pilot-core.labels" -}}
{{ include "pilot-core.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- end -}}
