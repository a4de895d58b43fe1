"""From a matrix to a decision with its reasons: training, exact contributions, calibration, policy, the artefact."""
