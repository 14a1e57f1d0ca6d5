"""Identity: the certificate authority of the mesh, and what proves who may have which name."""
