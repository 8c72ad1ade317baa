"""What the shelf holds besides boxes, cylinders and cards: one line per product, as a buyer would list it.

Sizes are nominal outer sizes in mm along the item's own axes (books and plush: width, height, thickness; round things:
diameter twice, height), masses in grams; both follow everyday products of the sort named (assumed, weighed in no
laboratory). Brands, colours, friction and print follow from the seed: :mod:`pickcell_sim.items.assortment`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Product:
    """One line of the shelf."""

    language: str
    product: str
    """As printed on the front."""
    subtitle: str
    """In English, where ``language`` is another."""
    size_text: str
    size_mm: tuple[float, float, float]
    mass_g: float
    form: str = ""
    color: str = ""
    shelf_life_days: int = 0
    """0 for what does not expire."""


def _p(
    language: str, product: str, subtitle: str, size_text: str, size_mm: tuple[float, float, float], mass_g: float,
    form: str = "", color: str = "", life: int = 0,
) -> Product:  # fmt: skip
    return Product(language, product, subtitle, size_text, size_mm, mass_g, form, color, life)


SHELF: dict[str, tuple[Product, ...]] = {
    "shrink": (
        _p("de", "Kräutertee", "Herbal tea", "3 x 60 g", (180, 75, 65), 262, life=730),
        _p("fr", "Savon de lavande", "Lavender soap", "3 x 100 g", (100, 66, 72), 322, life=1095),
        _p("en", "Playing Cards", "", "2 x 54", (90, 64, 38), 212),
        _p("es", "Zumo de naranja", "Orange juice", "6 x 200 ml", (142, 95, 120), 1330, life=300),
        _p("en", "Alkaline Batteries AA", "", "20 x AA", (145, 58, 30), 478, life=2555),
        _p("it", "Cioccolato fondente", "Dark chocolate", "5 x 100 g", (160, 80, 48), 536, life=540),
        _p("pl", "Chusteczki", "Tissues", "10 x 9", (110, 55, 104), 208),
        _p("sv", "Bryggkaffe", "Ground coffee", "500 g", (155, 92, 56), 516, life=365),
        _p("nl", "Hagelslag", "Chocolate sprinkles", "2 x 200 g", (150, 84, 62), 438, life=365),
    ),
    "hardcover": (
        _p("en", "The Quiet Harbour", "", "312 p", (140, 216, 30), 520),
        _p("de", "Der stille Garten", "The silent garden", "288 S", (135, 210, 27), 455),
        _p("fr", "La maison du vent", "The house of wind", "240 p", (130, 200, 24), 372),
        _p("es", "El faro de piedra", "The stone lighthouse", "416 p", (150, 228, 36), 742),
        _p("it", "Ricette di casa", "Home recipes", "192 p", (190, 240, 22), 690),
        _p("pl", "Cicha rzeka", "The quiet river", "352 s", (143, 205, 31), 545),
        _p("sv", "Skogens ljus", "The light of the forest", "224 s", (140, 215, 22), 398),
        _p("en", "Atlas of Northern Coasts", "", "384 p", (235, 300, 38), 1690),
        _p("de", "Werkbuch Holz", "Workbook of wood", "320 S", (210, 280, 30), 1180),
        _p("en", "Pocket Birds", "", "160 p", (105, 150, 16), 172),
        _p("fr", "Le petit herbier", "The small herbarium", "128 p", (120, 170, 15), 204),
    ),
    "paperback": (
        _p("en", "Rivers of Glass", "", "384 p", (129, 198, 25), 342),
        _p("de", "Nordlicht", "Northern light", "320 S", (125, 190, 24), 318),
        _p("fr", "Les jardins d'hiver", "Winter gardens", "208 p", (110, 178, 14), 156),
        _p("es", "Cocina del sur", "Cooking of the south", "176 p", (170, 235, 13), 372),
        _p("it", "Il mare di notte", "The sea at night", "272 p", (130, 200, 19), 272),
        _p("pl", "Zimowy ogród", "The winter garden", "448 s", (135, 205, 32), 486),
        _p("sv", "Den långa vägen", "The long road", "512 s", (110, 180, 34), 372),
        _p("nl", "Het groene huis", "The green house", "240 p", (125, 200, 18), 244),
        _p("en", "Repair It Yourself", "", "144 p", (150, 210, 10), 228),
        _p("de", "Rätselblock", "Puzzle pad", "96 S", (105, 148, 7), 74),
    ),
    "bottle": (
        _p("en", "Spring Water", "", "500 ml", (65, 65, 218), 528, "slim", life=540),
        _p("de", "Weichspüler", "Fabric softener", "400 ml", (70, 70, 176), 446, "round", life=1095),
        _p("fr", "Huile d'olive", "Olive oil", "500 ml", (66, 66, 252), 838, "glass", life=540),
        _p("es", "Champú de avena", "Oat shampoo", "300 ml", (58, 58, 178), 338, "round", life=1095),
        _p("it", "Acqua frizzante", "Sparkling water", "1 l", (84, 84, 282), 1042, "slim", life=365),
        _p("pl", "Syrop malinowy", "Raspberry syrup", "430 ml", (62, 62, 212), 772, "glass", life=730),
        _p("sv", "Diskmedel", "Washing-up liquid", "500 ml", (68, 68, 206), 540, "round", life=1095),
        _p("nl", "Appelazijn", "Cider vinegar", "250 ml", (52, 52, 186), 428, "glass", life=1460),
        _p("en", "Hand Sanitiser", "", "100 ml", (44, 44, 122), 116, "round", life=730),
        _p("de", "Hustensaft", "Cough syrup", "150 ml", (54, 54, 118), 276, "pharmacy", life=1095),
        _p("fr", "Sirop de menthe", "Mint syrup", "700 ml", (76, 76, 286), 1290, "glass", life=730),
        _p("en", "Vitamin D3 Capsules", "", "120 x 1000 IU", (55, 55, 98), 104, "pharmacy", life=730),
    ),
    "can": (
        _p("it", "Pomodori pelati", "Peeled tomatoes", "400 g", (73, 73, 109), 466, "food", life=1095),
        _p("es", "Atún claro", "Light tuna", "160 g", (85, 85, 36), 204, "food", life=1460),
        _p("de", "Erbseneintopf", "Pea stew", "800 g", (99, 99, 118), 936, "food", life=1095),
        _p("en", "Ginger Beer", "", "330 ml", (66, 66, 115), 352, "drink", life=365),
        _p("fr", "Petits pois", "Garden peas", "200 g", (65, 65, 72), 242, "food", life=1095),
        _p("pl", "Napój jabłkowy", "Apple drink", "250 ml", (53, 53, 134), 270, "drink", life=365),
        _p("sv", "Kallrökt makrill", "Smoked mackerel", "115 g", (73, 73, 34), 146, "food", life=1095),
        _p("en", "Silicone Spray", "", "300 ml", (57, 57, 196), 318, "aerosol", life=1825),
        _p("nl", "Scheerschuim", "Shaving foam", "200 ml", (50, 50, 162), 232, "aerosol", life=1095),
        _p("de", "Katzenfutter", "Cat food", "85 g", (66, 66, 38), 104, "food", life=730),
    ),
    "jar": (
        _p("fr", "Confiture de fraises", "Strawberry jam", "250 g", (66, 66, 88), 402, life=730),
        _p("de", "Blütenhonig", "Blossom honey", "500 g", (80, 80, 103), 738, life=730),
        _p("pl", "Ogórki konserwowe", "Pickled cucumbers", "900 ml", (98, 98, 150), 1282, life=730),
        _p("it", "Pesto alla genovese", "Basil pesto", "190 g", (62, 62, 92), 338, life=540),
        _p("es", "Aceitunas verdes", "Green olives", "350 g", (74, 74, 122), 586, life=730),
        _p("sv", "Lingonsylt", "Lingonberry jam", "400 g", (76, 76, 98), 598, life=540),
        _p("en", "Baby Food Carrot", "", "125 g", (56, 56, 72), 216, life=365),
        _p("nl", "Pindakaas", "Peanut butter", "600 g", (88, 88, 122), 934, life=365),
        _p("de", "Kurkuma", "Turmeric", "45 g", (44, 44, 104), 142, life=1095),
    ),
    "mailer": (
        _p("en", "Padded Envelope", "", "A/11", (110, 165, 14), 36, "kraft"),
        _p("de", "Luftpolstertasche", "Padded envelope", "C/13", (150, 215, 22), 118, "white"),
        _p("fr", "Enveloppe à bulles", "Bubble envelope", "D/14", (180, 265, 28), 232, "kraft"),
        _p("es", "Sobre acolchado", "Padded envelope", "B/12", (120, 215, 18), 84, "poly"),
        _p("it", "Busta imbottita", "Padded envelope", "E/15", (220, 265, 32), 318, "white"),
        _p("pl", "Koperta bąbelkowa", "Bubble envelope", "CD", (170, 160, 16), 106, "kraft"),
        _p("sv", "Vadderat kuvert", "Padded envelope", "F/16", (220, 300, 36), 452, "poly"),
        _p("en", "Poly Mailer", "", "M", (160, 230, 20), 172, "poly"),
    ),
    "polybag": (
        _p("en", "T-Shirt Crew Neck", "", "M", (205, 275, 22), 186, color="blue"),
        _p("de", "Geschirrtücher", "Tea towels", "3 x 50 cm", (180, 240, 26), 262, color="red"),
        _p("fr", "Chaussettes", "Socks", "5 x 39-42", (120, 220, 36), 238, color="grey"),
        _p("es", "Pantalón corto", "Shorts", "L", (200, 260, 28), 244, color="green"),
        _p("it", "Asciugamano", "Towel", "50 cm", (180, 220, 42), 318, color="white"),
        _p("pl", "Rękawiczki", "Gloves", "S", (115, 200, 20), 76, color="black"),
        _p("sv", "Mössa", "Beanie", "One size", (160, 190, 30), 98, color="yellow"),
        _p("nl", "Kussensloop", "Pillow case", "60x70 cm", (170, 210, 24), 172, color="pink"),
    ),
    "loose_bag": (
        _p("de", "Gummibärchen", "Gummy bears", "300 g", (150, 210, 44), 308, life=365),
        _p("en", "Basmati Rice", "", "500 g", (120, 185, 48), 508, life=730),
        _p("fr", "Lentilles vertes", "Green lentils", "500 g", (130, 190, 42), 507, life=730),
        _p("es", "Almendras", "Almonds", "200 g", (130, 180, 38), 209, life=365),
        _p("it", "Fusilli", "Pasta", "500 g", (130, 220, 62), 506, life=1095),
        _p("pl", "Kasza gryczana", "Buckwheat", "400 g", (120, 180, 42), 406, life=540),
        _p("sv", "Lösgodis", "Pick and mix sweets", "250 g", (140, 190, 46), 257, life=270),
        _p("en", "Wall Plugs", "", "100 x 8 mm", (110, 150, 32), 148),
    ),
    "ruler": (
        _p("en", "Ruler", "", "30 cm", (310, 30, 2.2), 26, "plastic", "blue"),
        _p("de", "Stahllineal", "Steel ruler", "20 cm", (222, 25, 1.5), 58, "steel"),
        _p("fr", "Règle plate", "Flat ruler", "20 cm", (208, 35, 2.5), 21, "plastic", "yellow"),
        _p("es", "Regla de madera", "Wooden ruler", "30 cm", (315, 36, 4.0), 30, "wood"),
        _p("it", "Righello", "Ruler", "15 cm", (160, 27, 2.0), 11, "plastic", "green"),
        _p("pl", "Linijka", "Ruler", "20 cm", (210, 40, 3.0), 32, "plastic", "red"),
        _p("sv", "Skallinjal", "Scale ruler", "30 cm", (312, 42, 3.2), 52, "plastic", "white"),
        _p("en", "Cutting Ruler", "", "25 cm", (265, 45, 2.0), 124, "steel"),
    ),
    "flat": (
        _p("en", "Night Sessions", "", "CD", (142, 125, 10), 92, "disc"),
        _p("fr", "Planche à découper", "Cutting board", "24 cm", (240, 160, 9), 268, "wood"),
        _p("de", "Schnellhefter A5", "Folder A5", "A5", (240, 175, 3.5), 62, "plastic", "blue"),
        _p("es", "Cuaderno", "Notebook", "A6", (148, 105, 8), 96, "paper", "green"),
        _p("it", "Sottopentola in sughero", "Cork trivet", "19 cm", (190, 190, 8), 64, "cork"),
        _p("pl", "Ramka na zdjęcie", "Photo frame", "13x18 cm", (205, 155, 14), 238, "wood"),
        _p("sv", "Skärbräda", "Chopping board", "20 cm", (205, 145, 6), 172, "plastic", "white"),
        _p("en", "Whiteboard", "", "A5", (218, 156, 5), 188, "plastic", "white"),
        _p("de", "Filmabend", "Film night", "2 x DVD", (190, 135, 14), 106, "disc"),
    ),
    "blister": (
        _p("en", "Button Cells CR2032", "", "4 x CR2032", (85, 120, 9), 24, "round", life=2555),
        _p("de", "Schraubendreher", "Screwdriver", "PH2", (95, 240, 30), 128, "long"),
        _p("fr", "Lampe de vélo", "Bicycle light", "USB", (110, 165, 44), 132, "round", "red"),
        _p("es", "Tijeras", "Scissors", "17 cm", (100, 225, 22), 112, "long", "green"),
        _p("it", "Colla rapida", "Super glue", "3 g", (95, 150, 16), 26, "long", life=730),
        _p("pl", "Słuchawki", "Earphones", "1.2 m", (105, 170, 32), 74, "round", "black"),
        _p("sv", "Tandborste", "Toothbrush", "2 x medium", (90, 230, 24), 58, "long", "blue"),
        _p("nl", "Fietsslot", "Bicycle lock", "65 cm", (140, 210, 52), 412, "round", "black"),
    ),
    "plush": (
        _p("en", "Bear", "", "18 cm", (120, 180, 90), 122, "bear", "brown"),
        _p("de", "Hase", "Rabbit", "20 cm", (105, 195, 85), 108, "bear", "grey"),
        _p("fr", "Lapin", "Rabbit", "14 cm", (90, 140, 75), 68, "bear", "white"),
        _p("es", "Pulpo", "Octopus", "12 cm", (125, 125, 90), 94, "star", "pink"),
        _p("it", "Balena", "Whale", "22 cm", (210, 110, 90), 148, "whale", "blue"),
        _p("pl", "Miś", "Teddy bear", "15 cm", (110, 150, 85), 92, "bear", "yellow"),
        _p("sv", "Säl", "Seal", "24 cm", (225, 120, 85), 162, "whale", "grey"),
        _p("nl", "Ster", "Star", "12 cm", (120, 125, 80), 76, "star", "yellow"),
    ),
    "tube": (
        _p("en", "Toothpaste Mint", "", "75 ml", (52, 33, 168), 104, "tube", life=1095),
        _p("de", "Handcreme", "Hand cream", "100 ml", (58, 37, 158), 124, "tube", life=1095),
        _p("fr", "Dentifrice", "Toothpaste", "100 ml", (56, 36, 186), 142, "tube", life=1095),
        _p("es", "Crema solar", "Sun cream", "50 ml", (48, 31, 128), 66, "tube", life=900),
        _p("it", "Concentrato di pomodoro", "Tomato paste", "130 g", (50, 32, 152), 152, "tube", life=730),
        _p("en", "Map Tube", "", "28 cm", (60, 60, 285), 148, "poster"),
        _p("pl", "Klej uniwersalny", "All-purpose glue", "30 ml", (32, 20, 118), 42, "tube", life=730),
        _p("sv", "Planschrör", "Poster tube", "24 cm", (52, 52, 245), 98, "poster"),
    ),
}

LOOK_ALIKES: tuple[tuple[str, int, str, str], ...] = (
    ("shrink", 1, "stripe:#7b3fc4", "stripe:#1f9d55"),
    ("shrink", 4, "count:20", "count:16"),
    ("hardcover", 6, "volume:1", "volume:2"),
    ("paperback", 5, "volume:1", "volume:2"),
    ("paperback", 4, "stripe:#d63b1f", "stripe:#1f6fd6"),
    ("bottle", 3, "dot:#1f6fd6", "dot:#e0a100"),
    ("bottle", 9, "size:150 ml", "size:125 ml"),
    ("can", 4, "stripe:#e0a100", "stripe:#1f6fd6"),
    ("can", 9, "dot:#d63b1f", "dot:#1f9d55"),
    ("jar", 0, "size:250 g", "size:225 g"),
    ("polybag", 0, "size:M", "size:L"),
    ("loose_bag", 3, "dot:#d63b1f", "dot:#1f6fd6"),
    ("ruler", 5, "dot:#1f6fd6", "dot:#e0a100"),
    ("flat", 3, "dot:#d63b1f", "dot:#1f6fd6"),
    ("blister", 0, "count:4", "count:5"),
    ("tube", 2, "dot:#1f6fd6", "dot:#1f9d55"),
)
"""(kind, line of the shelf, its own mark, its twin's): the same product but for what the mark says, always in one split."""
