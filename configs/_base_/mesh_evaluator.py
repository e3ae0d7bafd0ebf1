# What trainings on synthetic people are validated by: of the chosen path, of all on average, and of the best of them.
val_evaluator = dict(type="mion.MeshMetric", errors=("MPJPE", "PA-MPJPE"), statistics=("chosen", "mean", "oracle"))
test_evaluator = val_evaluator
