{{/* The name of the release's resources: at most 50 characters, so that what is added to it keeps within the 63 of a DNS label. */}}
{{- define "certroll.name" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* What a selector may name: it can never be changed, so it holds no version. */}}
{{- define "certroll.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "certroll.labels" -}}
{{ include "certroll.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "certroll.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "certroll.name" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "certroll.claim" -}}
{{- default (printf "%s-journal" (include "certroll.name" .)) .Values.persistence.existingClaim -}}
{{- end -}}

{{- define "certroll.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{/* For whom the token of a federated workload is made out, in each cloud. */}}
{{- define "certroll.audience" -}}
{{- get (dict
  "public" "api://AzureADTokenExchange"
  "china" "api://AzureADTokenExchangeChina"
  "usgov" "api://AzureADTokenExchangeUSGov") .Values.cloud -}}
{{- end -}}

{{/* Refuses what the schema cannot tell. */}}
{{- define "certroll.refuse" -}}
{{- with regexFind "(?m)^[^#\\n]*\\b(cloud|listen|socket|directory)[ \\t]*=" .Values.config -}}
{{- fail (printf "config: expected no key that the chart writes itself, found `%s`; take it out (values.yaml says which value replaces it)" (trim .)) -}}
{{- end -}}
{{- if and .Values.workloadIdentity.enabled (regexMatch "(?m)^[ \\t]*\\[[ \\t]*identity[ \\t]*\\]" .Values.config) -}}
{{- fail "config: expected no `[identity]`, since the chart writes it; take it out, or set workloadIdentity.enabled to false" -}}
{{- end -}}
{{- if regexMatch "(?i)(file|smb|nfs|blob)" .Values.persistence.storageClassName -}}
{{- fail (printf "persistence.storageClassName: expected a class of disks, found `%s`; the journal's locks do not work on shares" .Values.persistence.storageClassName) -}}
{{- end -}}
{{- if and .Values.webhook.enabled (not (regexMatch "(?m)^[^#\\n]*\\b(entra|shared_secret)\\b" .Values.config)) -}}
{{- fail "config: expected [events.entra] or [events.shared_secret], since webhook.enabled is true: deliveries must prove whom they are from" -}}
{{- end -}}
{{- end -}}
