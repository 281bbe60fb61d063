"""Real numbers -> integers: calibration, formats, learning rate, and the circuit they lower to."""
