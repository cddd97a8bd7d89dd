"""Who is who: keys, certificates, tokens, receipts, the directory of peers and the seals of the log.

Everything here turns signed bytes into nouns or refuses them with a short reason; nothing here decides what may be
seen. `jwt_door` is the only file that knows a JWT library, `jwk` the only one that turns JSON into a key.
"""
