// Topology: placeholder, replaced by the first slice.
