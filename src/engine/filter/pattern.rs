//! fail2ban's regex dialect (`<HOST>`, `<F-…>`) to ours.
