"""The lab: a synthetic province, so that everything can be tried, shown and taught without one real person.

`people` invents households, `reception` types them in as a hurried desk would, `reports` dictates,
`insurance_files` and `studies` write what hospital systems emit, `province` tells one story with all of it.
Nothing here is downloaded, and every number lies in a range that is never issued. The same seed gives the
same province, byte for byte.
"""
