"""Words that names are made of most: surnames, and the middle words by which an order of words is recognised.

Source: the national statistic of surnames of 2005 as repeated in secondary sources; surnames of the northern
minorities by general knowledge. The list need not be complete: it decides
between readings, never whether somebody exists.
"""

from __future__ import annotations

from registry.syllables import bare

_SURNAMES = """
nguyễn trần lê phạm hoàng huỳnh phan vũ võ đặng bùi đỗ hồ ngô dương lý đào đinh trịnh mai lương tạ cao chu hà
đoàn lưu tô thân ngụy giáp phùng vương quách kiều lâm tống nghiêm khổng hứa nông ma triệu la đàm lục bàn thái
trương từ tôn tăng thạch châu doãn văn quan diệp bạch mạc ninh lò giàng vàng sùng thào vi hoa cù lại viên ông
đồng an kim sơn danh tiêu mã âu mạch nhữ cấn bế hầu đôn tòng lường cầm quàng
"""
SURNAMES = frozenset(_SURNAMES.split())
BARE_SURNAMES = frozenset(bare(word).replace("y", "i") for word in SURNAMES)
MIDDLE_WORDS = frozenset({"thị", "văn", "đức", "đình", "hữu", "ngọc", "xuân"})
REGIONAL = {"vo": "vu", "huinh": "hoang"}
"""One surname in two regions, folded: Võ and Vũ, Huỳnh and Hoàng."""
_ONE_READING = """
trang linh nhi quinh oanh nhung tram nguiet tuiet chau diep duien dat kiet hui khoa phat duc loc phuc nhat thinh quoc
nghia khang
"""
ONE_READING = frozenset(_ONE_READING.split())
"""Given names, folded, that no other mark makes another name of: without marks they are as good as with."""
