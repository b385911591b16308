# The cluster, its network, and the registry that its nodes pull from.

resource "google_compute_network" "location" {
  #checkov:skip=CKV2_GCP_18:The cluster makes the firewall of its nodes itself.
  name                    = local.name
  auto_create_subnetworks = false
}

resource "google_compute_subnetwork" "nodes" {
  name                     = "nodes"
  network                  = google_compute_network.location.id
  ip_cidr_range            = "10.0.0.0/20"
  private_ip_google_access = true

  secondary_ip_range {
    range_name    = "pods"
    ip_cidr_range = "10.4.0.0/14"
  }

  secondary_ip_range {
    range_name    = "services"
    ip_cidr_range = "10.8.0.0/20"
  }

  log_config {
    aggregation_interval = "INTERVAL_10_MIN"
    flow_sampling        = 0.1
  }
}

resource "google_compute_router" "location" {
  name    = local.name
  network = google_compute_network.location.id
}

resource "google_compute_router_nat" "location" {
  name                               = local.name
  router                             = google_compute_router.location.name
  nat_ip_allocate_option             = "AUTO_ONLY"
  source_subnetwork_ip_ranges_to_nat = "ALL_SUBNETWORKS_ALL_IP_RANGES"
}

resource "google_project_iam_member" "nodes" {
  for_each = toset(["roles/container.defaultNodeServiceAccount", "roles/artifactregistry.reader"])
  project  = var.scope
  role     = each.key
  member   = google_service_account.location["nodes"].member
}

resource "google_container_cluster" "location" {
  #checkov:skip=CKV_GCP_12:The advanced datapath obeys network policies without the older switch.
  #checkov:skip=CKV_GCP_21:The provider's default labels are on everything.
  #checkov:skip=CKV_GCP_69:The node pool has it; the default pool is removed.
  #checkov:skip=CKV_GCP_61:Flow logs are the subnetwork's.
  #checkov:skip=CKV_GCP_65:Who may administer is a group of the organization's own, which is not ours to name.
  #checkov:skip=CKV_GCP_66:Which images may run is a policy of the project.
  name                        = local.name
  location                    = var.region
  network                     = google_compute_network.location.id
  subnetwork                  = google_compute_subnetwork.nodes.id
  min_master_version          = var.cluster.version
  remove_default_node_pool    = true
  initial_node_count          = 1
  enable_shielded_nodes       = true
  enable_intranode_visibility = true
  datapath_provider           = "ADVANCED_DATAPATH" # network policies are obeyed

  release_channel {
    channel = "REGULAR"
  }

  ip_allocation_policy {
    cluster_secondary_range_name  = "pods"
    services_secondary_range_name = "services"
  }

  private_cluster_config {
    enable_private_nodes    = true
    enable_private_endpoint = false
    master_ipv4_cidr_block  = "172.16.0.0/28"
  }

  master_authorized_networks_config {
    dynamic "cidr_blocks" {
      for_each = var.cluster.api_cidrs
      content {
        cidr_block = cidr_blocks.value
      }
    }
  }

  master_auth {
    client_certificate_config {
      issue_client_certificate = false
    }
  }

  workload_identity_config {
    workload_pool = local.pool
  }

  database_encryption {
    state    = "ENCRYPTED"
    key_name = google_kms_crypto_key.location.id
  }

  depends_on = [google_kms_crypto_key_iam_member.services]
}

resource "google_container_node_pool" "work" {
  name     = "work"
  cluster  = google_container_cluster.location.id
  location = var.region

  autoscaling {
    total_min_node_count = var.cluster.nodes_min
    total_max_node_count = var.cluster.nodes_max
  }

  management {
    auto_repair  = true
    auto_upgrade = true
  }

  node_config {
    machine_type    = var.cluster.machine
    service_account = google_service_account.location["nodes"].email
    oauth_scopes    = ["https://www.googleapis.com/auth/cloud-platform"]
    metadata        = { "disable-legacy-endpoints" = "true" }

    shielded_instance_config {
      enable_secure_boot          = true
      enable_integrity_monitoring = true
    }

    workload_metadata_config {
      mode = "GKE_METADATA"
    }
  }
}

resource "google_artifact_registry_repository" "image" {
  repository_id = local.name
  location      = var.region
  format        = "DOCKER"
  kms_key_name  = google_kms_crypto_key.location.id

  docker_config {
    immutable_tags = true
  }

  depends_on = [google_kms_crypto_key_iam_member.services]
}
