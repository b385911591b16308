# The bucket: versioned, encrypted with a key of its own, closed to the public, its readers on record.

resource "google_kms_key_ring" "location" {
  name     = local.name
  location = var.region
}

resource "google_kms_crypto_key" "location" {
  name            = "location"
  key_ring        = google_kms_key_ring.location.id
  rotation_period = "7776000s" # 90 days

  lifecycle {
    prevent_destroy = true
  }
}

data "google_storage_project_service_account" "storage" {}

data "google_project" "this" {}

# Who encrypts on behalf of the location: the storage and registry services, and the cluster's nodes for secrets.
resource "google_kms_crypto_key_iam_member" "services" {
  for_each = {
    storage  = data.google_storage_project_service_account.storage.email_address
    registry = "service-${data.google_project.this.number}@gcp-sa-artifactregistry.iam.gserviceaccount.com"
    cluster  = "service-${data.google_project.this.number}@container-engine-robot.iam.gserviceaccount.com"
  }
  crypto_key_id = google_kms_crypto_key.location.id
  role          = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
  member        = "serviceAccount:${each.value}"
}

resource "google_storage_bucket" "location" {
  name                        = var.bucket
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"

  versioning {
    enabled = true
  }

  encryption {
    default_kms_key_name = google_kms_crypto_key.location.id
  }

  lifecycle_rule {
    condition {
      days_since_noncurrent_time = var.old_versions_days
    }
    action {
      type = "Delete"
    }
  }

  lifecycle_rule {
    condition {
      age = 7
    }
    action {
      type = "AbortIncompleteMultipartUpload"
    }
  }

  logging {
    log_bucket        = google_storage_bucket.logs.name
    log_object_prefix = "access"
  }

  depends_on = [google_kms_crypto_key_iam_member.services]
}

# Access logs of the bucket, and compute logs of the control plane where it is in this cluster.
resource "google_storage_bucket" "logs" {
  #checkov:skip=CKV_GCP_62:A log of its own log would grow for ever.
  name                        = "${var.bucket}-logs"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"

  versioning {
    enabled = true
  }

  encryption {
    default_kms_key_name = google_kms_crypto_key.location.id
  }

  lifecycle_rule {
    condition {
      age = var.log_days
    }
    action {
      type = "Delete"
    }
  }

  depends_on = [google_kms_crypto_key_iam_member.services]
}

resource "google_storage_bucket_iam_member" "access_logs" {
  bucket = google_storage_bucket.logs.name
  role   = "roles/storage.objectCreator"
  member = "group:cloud-storage-analytics@google.com"
}
