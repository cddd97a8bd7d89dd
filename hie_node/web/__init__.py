"""The pages of the house door: small, fast and honest; Vietnamese first, English by choice.

Each page is a row with its roles, served by one way (`front.py`) that no page can step around: session, role, forged
posts, errors in the reader's language, headers. What a page does it does through the flows, with a caller made from
the person who signed in, so consent and the record of disclosures are those of every other door.
Nothing personal stands in a URL: searches are posted, records have random ids, facts travel sealed.
"""
