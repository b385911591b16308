"""The emulated profile: real protocol servers of the three clouds on loopback, ended with who started them."""
