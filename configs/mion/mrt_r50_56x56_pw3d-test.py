# Stage 2 on 3DPW's test set (pw3d_test.npz), which it is not trained on.
#   tools/dist_test.sh configs/mion/mrt_r50_56x56_pw3d-test.py CHECKPOINT 4
# The paper, with the path that stage 3 chooses of five: MPJPE 81.98, PA-MPJPE 52.34 mm (table 5), vertices 0.094 m and
# betas 3.227 off (table 6); with one path alone 0.142 m and 5.383.
_base_ = ["../_base_/default_runtime.py", "../_base_/pw3d_224.py", "../_base_/mrt_r50_56x56.py"]

model = dict(network=dict(backbone=dict(weights=None)))  # they are in the checkpoint
