# The ablation of eq. 5 with PNCC times 2 pi, so that the fastest sine runs once around along the body. As printed, PNCC
# is 0 to 1 and most channels hardly change (docs/fidelity.md).
#   tools/dist_train.sh configs/mion/mrt_r50_56x56_mixed_frequency-2pi.py 4
#   tools/dist_test.sh configs/mion/mrt_r50_56x56_mixed_frequency-2pi.py CHECKPOINT 4     (Human3.6M, protocol 2)
_base_ = ["./mrt_r50_56x56_mixed.py"]

model = dict(network=dict(position_encoding=dict(frequency_scale=6.2832)))
