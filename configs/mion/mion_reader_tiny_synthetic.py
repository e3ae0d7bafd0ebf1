# The three stages on the synthetic test people, with the depth reader in the place of the consistency network. Stages 1
# and 2 are the package's; the reader is reader_tiny_synthetic.py's, calibrated on validation people:
#   python tools/calibrate.py configs/mion/mion_reader_tiny_synthetic.py \
#       work_dirs/reader_tiny_synthetic/epoch_8.pth work_dirs/reader_tiny_synthetic/calibrated.pth
#   python tools/test.py configs/mion/mion_reader_tiny_synthetic.py --out metrics.json
# Other measures of the difference: model.cen.measure=weighted, model.cen.measure=likelihood
_base_ = [
    "../_base_/default_runtime.py",
    "../_base_/synthetic_112.py",
    "../_base_/reader_112.py",
    "../../mion_plugin/models/mion_tiny/config.py",
]

model = dict(
    # the poses of test recordings are neither candidates nor part of the fit's prior
    selector=dict(pool_split="train"),
    fit=dict(prior=dict(type="mion.StartPrior", pool_split="train")),
    cen=dict(_delete_=True, **_base_.cen),
    refiner_checkpoint="mion_plugin/models/mion_tiny/mrt.pth",
    cen_checkpoint="work_dirs/reader_tiny_synthetic/calibrated.pth",
)

train_dataloader = None

test_evaluator = [
    dict(
        type="mion.MeshMetric",
        errors=("MPJPE", "PA-MPJPE"),
        statistics=("chosen", "mean", "random", "oracle"),
        choosers=("chosen", "first", "reprojection", "cen", "cen+reprojection", "fit"),
    ),
    dict(type="mion.SelectionMetric", choosers=("first", "reprojection", "cen", "cen+reprojection", "fit")),
]
