"""Words that products of all kinds carry: colours and small print in eight languages."""

from __future__ import annotations

from dataclasses import dataclass

LANGUAGES = ("de", "en", "es", "fr", "it", "nl", "pl", "sv")


@dataclass(frozen=True)
class SmallPrint:
    """What a language prints on nearly every pack."""

    lot: str
    made: str
    use_by: str
    keep: str
    care: str
    made_in: str
    date_format: str
    """strftime pattern of dates to the day."""


SMALL_PRINT: dict[str, SmallPrint] = {
    "de": SmallPrint("Charge", "Hergestellt", "MHD", "Kühl und trocken lagern.", "Nach Gebrauch gut verschließen.",
                     "Hergestellt in Deutschland", "%d.%m.%Y"),
    "en": SmallPrint("LOT", "MFG", "EXP", "Store in a cool, dry place.", "Close well after use.", "Made in Ireland",
                     "%d %b %Y"),
    "es": SmallPrint("Lote", "Elab.", "Cons. pref.", "Guardar en lugar fresco y seco.", "Cerrar bien tras el uso.",
                     "Fabricado en España", "%d/%m/%Y"),
    "fr": SmallPrint("Lot", "Fab.", "À cons. avant", "À conserver au frais et au sec.", "Bien refermer après usage.",
                     "Fabriqué en France", "%d/%m/%y"),
    "it": SmallPrint("Lotto", "Prod.", "Scad.", "Conservare in luogo fresco e asciutto.", "Chiudere bene dopo l'uso.",
                     "Prodotto in Italia", "%d-%m-%Y"),
    "nl": SmallPrint("Partij", "Prod.", "THT", "Koel en droog bewaren.", "Na gebruik goed sluiten.",
                     "Gemaakt in Nederland", "%d-%m-%y"),
    "pl": SmallPrint("Partia", "Prod.", "Użyć do", "Przechowywać w suchym miejscu.", "Po użyciu szczelnie zamknąć.",
                     "Wyprodukowano w Polsce", "%d.%m.%Y"),
    "sv": SmallPrint("Parti", "Tillv.", "Bäst före", "Förvaras svalt och torrt.", "Stäng väl efter användning.",
                     "Tillverkad i Sverige", "%Y-%m-%d"),
}  # fmt: skip


@dataclass(frozen=True)
class ColorVariant:
    """A colour as a shop names it."""

    rgb: tuple[int, int, int]
    names: dict[str, str]
    """By language."""


def _color(rgb: tuple[int, int, int], names: str) -> ColorVariant:
    return ColorVariant(rgb, dict(zip(LANGUAGES, names.split())))


COLORS: dict[str, ColorVariant] = {
    "black": _color((38, 38, 42), "schwarz black negro noir nero zwart czarny svart"),
    "blue": _color((38, 92, 176), "blau blue azul bleu blu blauw niebieski blå"),
    "brown": _color((142, 96, 60), "braun brown marrón brun marrone bruin brązowy brun"),
    "green": _color((44, 136, 84), "grün green verde vert verde groen zielony grön"),
    "grey": _color((140, 144, 150), "grau grey gris gris grigio grijs szary grå"),
    "pink": _color((226, 128, 158), "rosa pink rosa rose rosa roze różowy rosa"),
    "red": _color((196, 48, 46), "rot red rojo rouge rosso rood czerwony röd"),
    "white": _color((240, 239, 234), "weiß white blanco blanc bianco wit biały vit"),
    "yellow": _color((240, 194, 52), "gelb yellow amarillo jaune giallo geel żółty gul"),
}
