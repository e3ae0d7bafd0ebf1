# Stage 2 with DETR's six encoder layers instead of two: 2.4 times the operations (docs/training.md).
#   tools/dist_train.sh configs/mion/mrt_r50_56x56_mixed_enc6.py 4
#   tools/dist_test.sh configs/mion/mrt_r50_56x56_mixed_enc6.py CHECKPOINT 4     (Human3.6M, protocol 2)
_base_ = ["./mrt_r50_56x56_mixed.py"]

model = dict(network=dict(transformer=dict(num_encoder_layers=6)))
