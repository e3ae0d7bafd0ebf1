# Stage 2 with what SPIN and its successors do in place of eq. 7 and the distance as printed: rotation matrices compared
# joint by joint, candidates far apart by the angles between their rotations (docs/fidelity.md).
#   tools/dist_train.sh configs/mion/mrt_r50_56x56_mixed_per-joint.py 4
#   tools/dist_test.sh configs/mion/mrt_r50_56x56_mixed_per-joint.py CHECKPOINT 4     (Human3.6M, protocol 2)
_base_ = ["./mrt_r50_56x56_mixed.py"]

model = dict(loss=dict(smpl="per_joint"), selector=dict(distance="geodesic"))
