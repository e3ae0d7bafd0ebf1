# The three stages at the paper's size on Human3.6M; each was trained before. See mrt_r50_56x56_h36m-test.py for the two
# protocols.
#   python tools/test.py configs/mion/mion_r50_56x56_h36m-test.py --out metrics.json
# The paper, MPJPE / PA-MPJPE in mm: 56.88 / 41.59 of five paths, a random one 62.47 / 44.71, the best 52.17 / 39.82
# (tables 3 and 4). Other numbers of paths (table 1): --cfg-options model.num_candidates=3
_base_ = "mrt_r50_56x56_h36m-test.py"

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
