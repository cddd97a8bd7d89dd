"""The hour of the hospital: seven hours ahead of UTC, all year round, in the whole of Viet Nam.

Source: IANA time zone database, Asia/Ho_Chi_Minh (UTC+7 without summer time since 1975)
"""

from __future__ import annotations

from datetime import timedelta, timezone

VIET_NAM = timezone(timedelta(hours=7), "+07:00")
