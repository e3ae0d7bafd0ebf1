# The three stages at the paper's size on the adults of AGORA's validation set (Patel et al., CVPR 2021).
#   python tools/test.py configs/mion/mion_r50_56x56_agora-test.py --out metrics.json
# The labels of its test set are not handed out. What its server measures: docs/evaluation.md.
_base_ = "mion_r50_56x56_pw3d-test.py"

test_dataloader = dict(dataset=dict(dataset_name="agora", ann_file="agora_validation.npz"))
