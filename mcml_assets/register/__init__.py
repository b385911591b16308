"""The register of acting locations, kept by a majority of three clouds' object stores."""
