{{- define "flower.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
terminationGracePeriodSeconds: 30
securityContext:
  runAsNonRoot: true
  runAsUser: 49999
  runAsGroup: 49999
  fsGroup: 49999
  seccompProfile:
    type: RuntimeDefault
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
{{ toYaml . | indent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
{{ toYaml . | indent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
{{ toYaml . | indent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
{{ toYaml . | indent 2 }}
{{- end }}
{{- end }}

{{- define "flower.container" -}}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  readOnlyRootFilesystem: true
  allowPrivilegeEscalation: false
  capabilities:
    drop: [ALL]
{{- end }}

{{- define "flower.superexec.probes" -}}
ports:
  - name: launcher-health
    containerPort: 9096
# Ready and alive: it answers, whether the SuperNode is there or not.
readinessProbe:
  grpc: {port: 9096}
  periodSeconds: 10
  timeoutSeconds: 10 # apps may take all cores
livenessProbe:
  grpc: {port: 9096}
  periodSeconds: 20
  timeoutSeconds: 10
{{- end }}

{{- define "flower.superexec.resources" -}}
requests:
{{ toYaml .Values.resources.superexec.requests | indent 2 }}
limits:
{{ toYaml .Values.resources.superexec.limits | indent 2 }}
{{- if .Values.gpus.count }}
  {{ .Values.gpus.resource }}: {{ .Values.gpus.count }}
{{- end }}
{{- end }}
