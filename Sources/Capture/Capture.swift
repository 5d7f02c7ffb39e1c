// Capture: placeholder, replaced by the first slice.
