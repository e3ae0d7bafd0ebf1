# Stage 2 on Human3.6M.
#   tools/dist_test.sh configs/mion/mrt_r50_56x56_h36m-test.py CHECKPOINT 4
# Protocol 2 (every fifth frame of the frontal camera) is h36m_valid_protocol2.npz. Protocol 1 (of all four cameras) is
# h36m_valid_protocol1.npz; add
#   --cfg-options test_dataloader.dataset.ann_file=h36m_valid_protocol1.npz
# The paper, MPJPE / PA-MPJPE in mm, does not say which it means: one path 62.31 / 45.48 (table 1); of five paths a
# random one 62.47 / 44.71, the best 52.17 / 39.82, the one that stage 3 chooses 56.88 / 41.59 (tables 3 and 4).
_base_ = ["../_base_/default_runtime.py", "../_base_/h36m_224.py", "../_base_/mrt_r50_56x56.py"]

model = dict(network=dict(backbone=dict(weights=None)))  # they are in the checkpoint
