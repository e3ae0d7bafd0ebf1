# Tests on 3DPW's test set from mmhuman3d's preprocessed file: SMPL of the true gender, as SPIN.
_base_ = "./photographs_224.py"

test_dataloader = dict(dataset=dict(dataset_name="pw3d", ann_file="pw3d_test.npz"))
test_evaluator = dict(ground_truth="smpl")
