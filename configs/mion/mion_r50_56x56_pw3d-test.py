# The three stages at the paper's size on 3DPW's test set; each was trained before.
#   python tools/test.py configs/mion/mion_r50_56x56_pw3d-test.py --out metrics.json
# The paper: MPJPE 81.98, PA-MPJPE 52.34 mm (table 5), vertices 0.094 m and betas 3.227 off (table 6).
_base_ = "mrt_r50_56x56_pw3d-test.py"

model = dict(
    _delete_=True,
    type="mion.MION",
    selector={{_base_.model.selector}},
    refiner={{_base_.model.network}},
    refiner_checkpoint="work_dirs/mrt_r50_56x56_mixed/epoch_60.pth",
    cen=dict(type="mion.CEN"),  # the paper's, as cen_r34_224.py trains it
    cen_checkpoint="work_dirs/cen_r34_224/epoch_100.pth",
)
# "chosen" is what model.selection says, by default the network's choice
test_evaluator = dict(choosers=("chosen", "first", "reprojection", "cen+reprojection"))
