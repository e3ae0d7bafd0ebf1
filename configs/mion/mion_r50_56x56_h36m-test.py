# The three stages at the paper's size on Human3.6M; each was trained before. See mrt_r50_56x56_h36m-test.py for the two
# protocols.
#   python tools/test.py configs/mion/mion_r50_56x56_h36m-test.py --out metrics.json
# The paper, MPJPE / PA-MPJPE in mm: 56.88 / 41.59 of five paths, a random one 62.47 / 44.71, the best 52.17 / 39.82
# (tables 3 and 4). Other numbers of paths (table 1): --cfg-options model.num_candidates=3
_base_ = ["../_base_/default_runtime.py", "../_base_/h36m_224.py", "../_base_/mion_r50_56x56.py"]

model = dict(refiner=dict(backbone=dict(weights=None)))  # they are in the checkpoint
# "chosen" is what model.selection says, by default the network's choice
test_evaluator = dict(choosers=("chosen", "first", "reprojection", "cen+reprojection"))
