# The same outputs in every cloud: what the topology and the chart's values are filled in with.

output "bucket" {
  description = "The location's bucket."
  value       = google_storage_bucket.location.name
}

output "identities" {
  description = "Who may what: write and read the bucket, serve from it, run the control plane, and upload its compute logs."
  value = {
    write         = google_service_account.location["write"].email
    read          = google_service_account.location["read"].email
    serve         = var.endpoints == null ? null : google_service_account.location["serve"].email
    control_plane = var.control_plane == null ? null : google_service_account.location["control-plane"].email
  }
}

output "cluster" {
  description = "The cluster's name, for a kubeconfig context."
  value       = google_container_cluster.location.name
}

output "registry" {
  description = "Where the image is pushed to, and pulled from."
  value       = "${var.region}-docker.pkg.dev/${var.scope}/${google_artifact_registry_repository.image.repository_id}/mcml-assets"
}

output "log_bucket" {
  description = "Bucket of compute logs."
  value       = google_storage_bucket.logs.name
}

output "health_check" {
  description = "The provider's health check of the edge; null until it has an address."
  value       = one(google_compute_health_check.edge[*].id)
}
