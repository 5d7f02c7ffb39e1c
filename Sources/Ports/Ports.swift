// Ports: placeholder, replaced by the first slice.
