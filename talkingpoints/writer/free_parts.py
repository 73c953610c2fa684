"""Vocabulary of the style "free": many everyday words for each part of an animal and of a person.

`{d}` stands for the owner in front of the part ("the dog's", "its", "the"), `{s}` for a side with its blank or nothing.
Words that fit two parts are where they are meant most often; a word that is meant for both is in both.
"""

ANIMAL_PARTS = {
    "eye": (
        "{d} {s}eye", "{d} {s}eye", "{d} {s}eye", "{d} {s}eyeball", "the pupil of {d} {s}eye",
        "the corner of {d} {s}eye",
    ),
    "nose": (
        "{d} nose", "{d} nose", "{d} nose", "{d} muzzle", "{d} snout", "the tip of {d} nose", "the end of {d} snout",
        "{d} nostrils", "the tip of {d} muzzle", "{d} nose tip", "{d} mouth and nose",
    ),
    "ear": (
        "{d} {s}ear", "{d} {s}ear", "{d} {s}ear", "the base of {d} {s}ear", "the spot where {d} {s}ear starts",
        "the place where {d} {s}ear joins the head", "{d} {s}ear flap", "the root of {d} {s}ear",
    ),
    "throat": (
        "{d} throat", "{d} throat", "{d} neck", "the front of {d} neck", "the underside of {d} neck", "{d} chin",
        "the spot just under {d} chin", "{d} jaw", "the spot where {d} neck meets the head", "{d} gullet",
        "the spot just below {d} jaw", "the top of {d} chest",
        "the front side of {d} throat",
    ),
    "neck": ("{d} neck", "{d} neck", "{d} nape", "the side of {d} neck", "{d} throat"),
    "withers": (
        "{d} withers", "{d} shoulders", "{d} shoulder blades", "the ridge between {d} shoulder blades",
        "the spot where {d} neck meets the back", "{d} upper back", "the front of {d} back",
        "{d} back just behind the neck", "the start of {d} back", "where {d} back begins", "{d} back at the shoulders",
        "the highest spot of {d} back", "{d} nape", "the back of {d} neck", "{d} shoulder hump",
    ),
    "tailbase": (
        "where {d} tail begins", "where {d} tail starts", "the base of {d} tail", "{d} tail", "{d} tail base",
        "the root of {d} tail", "{d} rump", "{d} rear end", "{d} bottom by the tail", "{d} backside",
        "the place where {d} tail grows out of the body", "the spot where {d} tail joins the body", "{d} butt",
        "the start of {d} tail", "the beginning of {d} tail", "{d} behind", "the top of {d} tail", "{d} tail head",
    ),
    "front elbow": (
        "{d} {s}front elbow", "{d} {s}elbow", "the elbow of {d} {s}front leg", "the top of {d} {s}front leg",
        "the upper part of {d} {s}front leg", "{d} {s}upper foreleg", "the spot where {d} {s}front leg meets the body",
        "the upper joint of {d} {s}front leg", "{d} {s}armpit", "{d} {s}foreleg at the chest",
        "the spot where {d} {s}front leg leaves the body",
    ),
    "back elbow": (
        "{d} {s}thigh", "{d} {s}thigh", "{d} {s}haunch", "the top of {d} {s}back leg", "{d} {s}stifle",
        "the upper part of {d} {s}hind leg", "{d} {s}upper hind leg", "the upper joint of {d} {s}back leg",
        "the spot where {d} {s}hind leg meets the belly", "{d} {s}back elbow", "{d} {s}hind knee",
    ),
    "front knee": (
        "{d} {s}front knee", "{d} {s}front knee", "the knee of {d} {s}front leg", "the bend in {d} {s}front leg",
        "the joint in the middle of {d} {s}front leg", "the middle of {d} {s}front leg", "{d} {s}front leg at the knee",
        "{d} {s}foreleg halfway down", "{d} {s}fore knee", "{d} {s}front leg joint", "{d} {s}front wrist",
    ),
    "back knee": (
        "{d} {s}hock", "{d} {s}back knee", "{d} {s}hind knee", "the knee of {d} {s}hind leg",
        "the joint in the middle of {d} {s}hind leg", "the bend in {d} {s}back leg", "{d} {s}back leg joint",
        "the middle of {d} {s}back leg", "{d} {s}rear knee", "the heel of {d} {s}hind leg",
        "{d} {s}hind leg at the bend",
        "{d} {s}heel", "{d} {s}back ankle",
    ),
    "front paw": (
        "{d} {s}front paw", "{d} {s}front paw", "{d} {s}front foot", "{d} {s}forepaw", "the paw of {d} {s}front leg",
        "the end of {d} {s}front leg", "the toes of {d} {s}front leg", "{d} {s}fore foot", "{d} {s}front toes",
        "the claws of {d} {s}front leg",
    ),
    "back paw": (
        "{d} {s}back paw", "{d} {s}hind paw", "{d} {s}back foot", "{d} {s}rear paw", "the paw of {d} {s}hind leg",
        "the end of {d} {s}back leg", "{d} {s}hind foot", "the toes of {d} {s}back leg", "{d} {s}rear foot",
        "{d} {s}back toes",
    ),
    "front hoof": (
        "{d} {s}front hoof", "{d} {s}front hoof", "{d} {s}front foot", "{d} {s}fore hoof",
        "the foot of {d} {s}front leg",
        "the hoof of {d} {s}foreleg", "the end of {d} {s}front leg", "{d} {s}forefoot",
    ),
    "back hoof": (
        "{d} {s}back hoof", "{d} {s}hind hoof", "{d} {s}back foot", "{d} {s}rear hoof", "the hoof of {d} {s}hind leg",
        "the foot of {d} {s}back leg", "the end of {d} {s}back leg", "{d} {s}hind foot", "{d} {s}rear foot",
    ),
}  # fmt: skip
PERSON_PARTS = {
    "eye": ("{d} {s}eye", "{d} {s}eye", "{d} {s}eye", "{d} {s}eyeball", "the pupil of {d} {s}eye"),
    "nose": ("{d} nose", "{d} nose", "{d} nose", "the tip of {d} nose", "{d} nostrils", "the middle of {d} face"),
    "ear": ("{d} {s}ear", "{d} {s}ear", "{d} {s}ear", "{d} {s}earlobe", "the side of {d} head at the {s}ear"),
    "shoulder": (
        "{d} {s}shoulder", "{d} {s}shoulder", "{d} {s}shoulder", "the top of {d} {s}arm", "{d} {s}shoulder joint",
        "the spot where {d} {s}arm begins", "the {s}sleeve of {d} shirt at the shoulder", "{d} {s}collarbone",
    ),
    "elbow": (
        "{d} {s}elbow", "{d} {s}elbow", "{d} {s}elbow", "the bend in {d} {s}arm", "the middle of {d} {s}arm",
        "the joint in the middle of {d} {s}arm",
    ),
    "wrist": (
        "{d} {s}wrist", "{d} {s}hand", "{d} {s}hand", "{d} {s}hand at the wrist", "the end of {d} {s}arm",
        "{d} {s}wrist joint", "the spot where {d} {s}hand begins", "{d} {s}palm", "the end of {d} {s}sleeve",
        "the cuff on {d} {s}arm",
    ),
    "hip": (
        "{d} {s}hip", "{d} {s}hip", "{d} {s}hip bone", "{d} waist at the {s}hip", "the top of {d} {s}leg",
        "the {s}pocket of {d} trousers", "{d} {s}hip joint", "{d} belt at the {s}hip", "the {s}side of {d} pelvis",
    ),
    "knee": (
        "{d} {s}knee", "{d} {s}knee", "{d} {s}knee", "{d} {s}kneecap", "the middle of {d} {s}leg",
        "the bend in {d} {s}leg",
        "the joint in the middle of {d} {s}leg",
    ),
    "ankle": (
        "{d} {s}ankle", "{d} {s}foot", "{d} {s}foot", "{d} {s}shoe", "{d} {s}ankle joint", "the end of {d} {s}leg",
        "{d} {s}heel", "{d} {s}sock", "the spot just above {d} {s}shoe",
    ),
}  # fmt: skip
# Only which region the point is in. One word of each is in every wording of it and of no other region.
REGIONS = {
    "head": ("{d} head", "somewhere on {d} head", "{d} face", "a spot on {d} head", "part of {d} face"),
    "front leg": ("{d} {s}front leg", "one of {d} front legs", "{d} {s}foreleg", "a spot on {d} {s}front leg"),
    "back leg": ("{d} {s}hind leg", "one of {d} back legs", "{d} {s}back leg", "a spot on {d} {s}rear leg"),
    "arm": ("{d} {s}arm", "one of {d} arms", "somewhere on {d} {s}arm", "a spot on {d} {s}arm"),
    "leg": ("{d} {s}leg", "one of {d} legs", "somewhere on {d} {s}leg", "a spot on {d} {s}leg"),
    "body": ("{d} body", "somewhere on {d} body", "{d} torso", "a spot on {d} trunk"),
}
