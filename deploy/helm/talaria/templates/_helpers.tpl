{{- define "talaria.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "talaria.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "talaria.labels" -}}
{{ include "talaria.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{/* The configuration: that of the values, and what the chart decides. */}}
{{- define "talaria.config" -}}
{{- $ports := .Values.ports }}
{{- $chart := dict
  "primary" (dict "address" (printf ":%d" (int $ports.primary)))
  "health" (dict "address" (printf ":%d" (int $ports.health)))
  "metric" (dict "address" (printf ":%d" (int $ports.metric)) "metricsOptions" (dict "namespace" .Values.metricsNamespace))
  "control" (dict "address" (ternary (printf ":%d" (int $ports.control)) "127.0.0.1:6203" (gt (int $ports.control) 0)))
  "shutdownTimeout" (printf "%ds" (int .Values.shutdownTimeoutSeconds)) }}
{{- if .Values.tls.secretName }}
{{- $files := dict "certificateFile" (list "/etc/talaria-tls/tls.crt") "keyFile" (list "/etc/talaria-tls/tls.key") }}
{{- $_ := set $chart "primary" (merge $files $chart.primary) }}
{{- end }}
{{- mustMergeOverwrite (deepCopy .Values.config) $chart | toYaml }}
{{- end }}
