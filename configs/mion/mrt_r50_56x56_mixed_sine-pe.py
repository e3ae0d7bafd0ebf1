# The ablation without PNCC-PE: the candidate enters neither tokens nor queries, so all paths of an image are equal.
#   tools/dist_train.sh configs/mion/mrt_r50_56x56_mixed_sine-pe.py 4
#   tools/dist_test.sh configs/mion/mrt_r50_56x56_mixed_sine-pe.py CHECKPOINT 4     (Human3.6M, protocol 2)
# The paper, Human3.6M, MPJPE / PA-MPJPE in mm: 61.14 / 43.01, with PNCC-PE 56.88 / 41.59 (table 2, with stage 3).
_base_ = ["./mrt_r50_56x56_mixed.py"]

model = dict(network=dict(position_encoding=dict(_delete_=True, type="mion.SinePositionEncoding2D")))
