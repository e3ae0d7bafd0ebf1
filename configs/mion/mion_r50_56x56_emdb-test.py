# The three stages at the paper's size on EMDB 1 (Kaufmann et al., ICCV 2023), 17 sequences.
#   python tools/test.py configs/mion/mion_r50_56x56_emdb-test.py --out metrics.json
# EMDB came after the paper, which has no numbers of it. What others measure there: docs/evaluation.md.
_base_ = "mion_r50_56x56_pw3d-test.py"

test_dataloader = dict(dataset=dict(dataset_name="emdb", ann_file="emdb_1.npz"))
