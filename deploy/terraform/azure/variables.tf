# The same inputs in every cloud; `mcml topology export` writes those that the topology knows. One state per location: what
# locks or destroys one location touches no other.

variable "location" {
  description = "The location's key: aws/eu-west-2."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]*/[a-z][a-z0-9-]*$", var.location))
    error_message = "A location is a cloud and a region: aws/eu-west-2."
  }
}

variable "region" {
  description = "The region, as the provider calls it."
  type        = string
}

variable "jurisdiction" {
  description = "Where data in this region lawfully is."
  type        = string
}

variable "scope" {
  description = "What everything is made in: an AWS account's number, a Google project, an Azure subscription."
  type        = string
}

variable "bucket" {
  description = "Bucket or container that holds everything of this location."
  type        = string
}

variable "account" {
  description = "Storage account of the container (azure); empty elsewhere."
  type        = string
  default     = ""
}

variable "copies_from" {
  description = "Buckets of this cloud and jurisdiction that this location's identity may read, so that the provider copies by itself."
  type        = list(string)
  default     = []
}

variable "platform_identity" {
  description = "Who acts as this location: a role's ARN, a service account's e-mail, a principal id. Empty: the cluster's own pods."
  type        = string
  default     = ""
}

variable "trust" {
  description = "What an identity from another account must know to act as this location (AWS: the external id); empty elsewhere."
  type        = string
  default     = ""
  sensitive   = true
}

variable "endpoints" {
  description = "Where KServe runs this location's endpoints, and as whom; null where they run elsewhere."
  type = object({
    namespace       = string
    service_account = string
  })
  default = null
}

variable "control_plane" {
  description = "Namespace and release of deploy/helm/mcml in this cluster; null where the control plane is elsewhere."
  type = object({
    namespace = string
    release   = string
  })
  default = null
}

variable "cluster" {
  description = "The Kubernetes cluster: version, kind of machine, how many nodes, and from where its API is reached."
  type = object({
    version   = string
    machine   = string
    nodes_min = number
    nodes_max = number
    api_cidrs = list(string)
  })

  validation {
    condition     = !contains(var.cluster.api_cidrs, "0.0.0.0/0")
    error_message = "The cluster's API must not be open to everybody: name the networks it is reached from."
  }
}

variable "dns" {
  description = "The zone that the edge's name is in, that name, and what it points to; target is empty until the edge has an address."
  type = object({
    zone   = string
    edge   = string
    target = string
  })
  default = null
}

variable "old_versions_days" {
  description = "Days that replaced versions of objects are kept: how long a pointer can be read back."
  type        = number
  default     = 30
}

variable "log_days" {
  description = "Days that access logs are kept."
  type        = number
  default     = 365
}
