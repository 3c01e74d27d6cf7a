"""Take Cover: dodge the fireballs of monsters that stand along the far wall of a room, seen from the player's eyes.

Action space: 1 number, cut into thirds: below -1/3 step to the left, above 1/3 to the right, between stay.
Observation space: frames (240, 320, 3) uint8; rows 200 to 239 are floor, cut off for V.
Rewards: 1 per tic (1/35 second) that was survived.
Starting state: in the middle of the room, at full health; monsters come with time, and never go.
Episode end: terminated by death, truncated after 2,100 tics (one minute).
Solved: a mean of 750 tics over 100 episodes.

Differences from the paper: the paper played ViZDoom of 2018 through gym's DoomTakeCover-v0, in 640x480 pixels and with
id Software's pictures where they were at hand; this is VizdoomTakeCover-v1 of today's package with the free pictures
that come along, in 320x240 and without a status bar: the room's floor is where the paper's code cut the bar off. It has
no cap of its own, and shows a black picture once the player is dead, for which the last one before is given.
"""

from worldmodels.envs.game import GameSpec

LEFT, STAY, RIGHT = 2, 0, 1  # of VizdoomTakeCover-v1's Discrete(3)

TAKE_COVER = GameSpec(
    name="take-cover",
    gym_id="VizdoomTakeCover-v1",
    action_kinds=("symmetric",),
    frame_shape=(240, 320, 3),
    frame_rows=200,  # as rows 0..399 of the paper's 480
    max_steps=2100,
    steps_per_second=35.0,
    mirror_signs=(-1.0,),
    thirds=(LEFT, STAY, RIGHT),
    module="vizdoom.gymnasium_wrapper",
    packages="vizdoom",
    frame_key="screen",
    resets_clean=True,
)
