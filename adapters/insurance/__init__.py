"""The file that every hospital already writes for the social-insurance portal, read as what happened to a patient.

    envelope      GIAMDINHHS and its dossiers, or a table that stands alone
    tables        the field lists of the family 4210, 130, 4750, 3176
    values        times, lists, numbers as the family writes them
    imaging       which rows are CT and MRI, and when each was performed
    wording       a report and a referral slip as text
    closed        what in a dossier says that it is on a closed list
    submission    one submission per dossier

A row is never refused for what it has too much; what is strange is kept and said. A dossier is refused as a whole
where it could end at the wrong patient: no patient number, another facility's, two visits in one.
Source: QĐ 130/QĐ-BYT (2023), QĐ 4750/QĐ-BYT (2023), QĐ 3176/QĐ-BYT (2024); QĐ 4210/QĐ-BYT (2017) for leftovers.
"""
