"""The endpoint platform of a Kubernetes cluster with KServe: EKS, GKE, AKS or another."""
