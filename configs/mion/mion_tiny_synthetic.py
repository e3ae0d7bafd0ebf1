# The three stages together on the synthetic test people, with every way to choose a path. Nothing is trained here: the
# weights are those of the package, or of mrt_tiny_lifting_apart.py and reader_tiny_synthetic_more.py.
#   python tools/test.py configs/mion/mion_tiny_synthetic.py --out metrics.json
#   python tools/test.py configs/mion/mion_tiny_synthetic.py --cfg-options \
#       model.refiner_checkpoint=work_dirs/mrt_tiny_lifting_apart/epoch_6.pth model.cen_checkpoint=cen.pth
# Ablations: model.num_candidates=3, model.selection=cen; without the fit onto the keypoints: model.fit=None
#   model.selection=cen+reprojection; with the keypoints as they are detected: model.correct_keypoints=False; stages 1
#   and 2 alone: the latter and model.fit=None model.cen=None model.cen_checkpoint=None model.selection=first.
_base_ = [
    "../_base_/default_runtime.py",
    "../_base_/synthetic_112.py",
    "../../mion_plugin/models/mion_tiny/config.py",
]

model = dict(
    # the poses of test recordings are neither candidates nor part of the fit's prior
    selector=dict(pool_split="train"),
    fit=dict(prior=dict(type="mion.StartPrior", pool_split="train")),
    refiner_checkpoint="mion_plugin/models/mion_tiny/mrt.pth",
    cen_checkpoint="mion_plugin/models/mion_tiny/cen.pth",
)

train_dataloader = None  # the validation people are those of tools/calibrate.py

test_evaluator = dict(
    _delete_=True,
    type="mion.MeshMetric",
    errors=("MPJPE", "PA-MPJPE"),
    statistics=("chosen", "each", "mean", "random", "oracle"),
    # "chosen" is what model.selection says; the others are measured beside it in the same run
    choosers=("chosen", "first", "reprojection", "cen", "cen+reprojection", "fit"),
)
