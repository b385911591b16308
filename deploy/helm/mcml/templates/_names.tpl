{{/* What all templates have in common: labels, the image, identities, and how a pod is held to the restricted profile. */}}

{{- define "mcml.labels" -}}
app.kubernetes.io/name: mcml
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{/* Of one component: (list $ "webserver") */}}
{{- define "mcml.selector" -}}
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- define "mcml.image" -}}
{{- $tag := .Values.image.tag | default .Chart.AppVersion -}}
{{ .Values.image.repository }}{{ if hasPrefix "@" $tag }}{{ $tag }}{{ else }}:{{ $tag }}{{ end }}
{{- end }}

{{/* The annotation that ties a service account to its cloud identity: (list "aws" "arn:...") */}}
{{- define "mcml.identity" -}}
{{- if eq (index . 0) "aws" -}}
eks.amazonaws.com/role-arn: {{ index . 1 | quote }}
{{- else if eq (index . 0) "gcp" -}}
iam.gke.io/gcp-service-account: {{ index . 1 | quote }}
{{- else -}}
azure.workload.identity/client-id: {{ index . 1 | quote }}
{{- end -}}
{{- end }}

{{/* Labels of a pod: (list $ "webserver"). Azure's webhook gives a token only to pods that ask for it. */}}
{{- define "mcml.podLabels" -}}
{{ include "mcml.labels" (index . 0) }}
app.kubernetes.io/component: {{ index . 1 }}
{{- if eq (index . 0).Values.cloud "azure" }}
azure.workload.identity/use: "true"
{{- end }}
{{- end }}

{{- define "mcml.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "mcml.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* The volumes that every process has; `K8sRunLauncher` gives them to runs by the code location's container context. */}}
{{- define "mcml.volumes" -}}
- {name: tmp, emptyDir: {}}
- {name: topology, configMap: {name: {{ .Release.Name }}-topology}}
- {name: state, persistentVolumeClaim: {claimName: {{ .Release.Name }}-state}}
{{- if .Values.kubeconfigSecret }}
- {name: kubeconfig, secret: {secretName: {{ .Values.kubeconfigSecret }}}}
{{- end }}
{{- end }}

{{- define "mcml.mounts" -}}
- {name: tmp, mountPath: /tmp}
- {name: topology, mountPath: /etc/mcml/topology, readOnly: true}
- {name: state, mountPath: /var/lib/mcml}
{{- if .Values.kubeconfigSecret }}
- {name: kubeconfig, mountPath: /etc/mcml/kube, readOnly: true}
{{- end }}
{{- end }}

{{/* The instance's file, and a folder to scribble in beside it: of Dagster's own processes, and of runs, whose steps ask for
the instance by DAGSTER_HOME. The edge has none: it outlives the control plane and reaches no database. */}}
{{- define "mcml.instanceVolumes" -}}
- {name: dagster-home, emptyDir: {}}
- {name: instance, configMap: {name: {{ .Release.Name }}-instance}}
{{- end }}

{{- define "mcml.instanceMounts" -}}
- {name: dagster-home, mountPath: /opt/dagster/dagster_home}
- {name: instance, mountPath: /opt/dagster/dagster_home/dagster.yaml, subPath: dagster.yaml, readOnly: true}
{{- end }}

{{/* Of those who ask code locations. */}}
{{- define "mcml.workspaceVolumes" -}}
- {name: workspace, configMap: {name: {{ .Release.Name }}-workspace}}
{{- end }}

{{- define "mcml.workspaceMounts" -}}
- {name: workspace, mountPath: /etc/mcml/workspace, readOnly: true}
{{- end }}

{{- define "mcml.environment" -}}
- configMapRef: {name: mcml-settings}
- secretRef: {name: {{ .Values.secretName }}}
{{- end }}

{{/* Beginning of a pod's spec: (list $ "control-plane") is its service account and priority. */}}
{{- define "mcml.podStart" -}}
serviceAccountName: {{ (index . 0).Release.Name }}-{{ index . 1 }}
{{- if (index . 0).Values.priorityClasses.create }}
priorityClassName: {{ (index . 0).Release.Name }}-{{ index . 1 }}
{{- end }}
{{- with (index . 0).Values.image.pullSecrets }}
imagePullSecrets: {{ range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
securityContext:
  {{- include "mcml.podSecurity" (index . 0) | nindent 2 }}
{{- end }}

{{- define "mcml.containerContext" -}}
{{- $volumes := concat (include "mcml.volumes" . | fromYamlArray) (include "mcml.instanceVolumes" . | fromYamlArray) -}}
{{- $mounts := concat (include "mcml.mounts" . | fromYamlArray) (include "mcml.instanceMounts" . | fromYamlArray) -}}
{{- $spec := dict "security_context" (dict "run_as_user" 10001 "run_as_group" 10001 "fs_group" 10001) -}}
{{- if .Values.priorityClasses.create }}{{ $_ := set $spec "priority_class_name" (printf "%s-runs" .Release.Name) }}{{ end -}}
{{- $labels := dict "app.kubernetes.io/instance" .Release.Name "app.kubernetes.io/component" "run" -}}
{{- if eq .Values.cloud "azure" }}{{ $_ := set $labels "azure.workload.identity/use" "true" }}{{ end -}}
{{- $secrets := list -}}
{{- range .Values.image.pullSecrets }}{{ $secrets = append $secrets (dict "name" .) }}{{ end -}}
{{- $k8s := dict "volumes" $volumes "volume_mounts" $mounts "labels" $labels "image_pull_secrets" $secrets -}}
{{- $_ := set $k8s "run_k8s_config" (dict "pod_spec_config" $spec) -}}
{{- dict "k8s" $k8s | toJson -}}
{{- end }}
