"""Labels: the printed QR stickers."""
