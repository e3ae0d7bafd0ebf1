# Stage 3 with one pair of an image and a body, as the paper draws them (3.3): in cen_r34_224.py an image meets four
# bodies, so that the batches of batch normalisation hold each image four times.
#   tools/dist_train.sh configs/mion/cen_r34_224_one-pair.py 4
#   tools/dist_test.sh configs/mion/cen_r34_224_one-pair.py work_dirs/cen_r34_224_one-pair/epoch_100.pth 4
_base_ = "cen_r34_224.py"

model = dict(num_bodies=1)  # one of the sample's four, drawn at random
