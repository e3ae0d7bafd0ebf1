# Tests on Human3.6M, subjects S9 and S11, from mmhuman3d's preprocessed files: 14 joints of keypoints3d, as SPIN.
_base_ = "./photographs_224.py"

# protocol 2: every fifth frame of the frontal camera
test_dataloader = dict(dataset=dict(dataset_name="h36m", ann_file="h36m_valid_protocol2.npz"))
test_evaluator = dict(errors=("MPJPE", "PA-MPJPE"), ground_truth="keypoints3d")
