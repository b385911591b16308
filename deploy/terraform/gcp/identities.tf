# One account per direction, bound on the bucket and never on the project: write is the platform as this location, read is who
# copies from or audits it, serve is its model servers.

resource "google_service_account" "location" {
  for_each     = local.accounts
  account_id   = substr("mcml-${var.region}-${each.key}", 0, 30)
  display_name = "mcml ${var.location} ${each.key}"
}

resource "google_project_iam_custom_role" "write" {
  role_id = "mcmlWrite_${replace(var.region, "-", "_")}"
  title   = "mcml: write ${var.location}"
  permissions = [
    "storage.buckets.get", "storage.objects.create", "storage.objects.delete", "storage.objects.get", "storage.objects.list",
  ]
}

resource "google_project_iam_custom_role" "read" {
  role_id     = "mcmlRead_${replace(var.region, "-", "_")}"
  title       = "mcml: read ${var.location}"
  permissions = ["storage.objects.get", "storage.objects.list"]
}

resource "google_storage_bucket_iam_member" "write" {
  bucket = google_storage_bucket.location.name
  role   = google_project_iam_custom_role.write.id
  member = google_service_account.location["write"].member
}

resource "google_storage_bucket_iam_member" "read" {
  bucket = google_storage_bucket.location.name
  role   = google_project_iam_custom_role.read.id
  member = google_service_account.location["read"].member
}

resource "google_storage_bucket_iam_member" "copies_from" {
  for_each = toset(var.copies_from)
  bucket   = each.key
  role     = google_project_iam_custom_role.read.id
  member   = google_service_account.location["write"].member
}

resource "google_storage_bucket_iam_member" "serve" {
  count  = var.endpoints == null ? 0 : 1
  bucket = google_storage_bucket.location.name
  role   = google_project_iam_custom_role.read.id
  member = google_service_account.location["serve"].member

  condition {
    title      = "packages"
    expression = "resource.name.startsWith('projects/_/buckets/${var.bucket}/objects/endpoints/')"
  }
}

resource "google_storage_bucket_iam_member" "compute_logs" {
  count  = var.control_plane == null ? 0 : 1
  bucket = google_storage_bucket.logs.name
  role   = "roles/storage.objectUser"
  member = google_service_account.location["control-plane"].member

  condition {
    title      = "compute logs"
    expression = "resource.name.startsWith('projects/_/buckets/${var.bucket}-logs/objects/compute-logs/')"
  }
}

# Acting as the location: the platform from elsewhere, or the control plane of this cluster.
resource "google_service_account_iam_member" "platform" {
  for_each           = var.platform_identity == "" ? toset([]) : toset(["write", "read"])
  service_account_id = google_service_account.location[each.key].name
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = "serviceAccount:${var.platform_identity}"
}

resource "google_service_account_iam_member" "control_plane" {
  for_each           = var.control_plane == null ? toset([]) : toset(["write", "read"])
  service_account_id = google_service_account.location[each.key].name
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = google_service_account.location["control-plane"].member
}

# Kubernetes' service accounts as Google's.
resource "google_service_account_iam_member" "pods" {
  for_each = merge(
    var.endpoints == null ? {} : { serve = ["serve", "${var.endpoints.namespace}/${var.endpoints.service_account}"] },
    var.control_plane == null ? {} : {
      daemon = ["control-plane", "${var.control_plane.namespace}/${var.control_plane.release}-control-plane"]
      runs   = ["control-plane", "${var.control_plane.namespace}/${var.control_plane.release}-runs"]
    },
  )
  service_account_id = google_service_account.location[each.value[0]].name
  role               = "roles/iam.workloadIdentityUser"
  member             = "serviceAccount:${local.pool}[${each.value[1]}]"
}
