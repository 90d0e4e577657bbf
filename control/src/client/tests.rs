//! What needs no daemon; the exchange itself is tested with the server.

use super::escaped;

#[test]
fn only_unreserved_characters_stand_for_themselves() {
    assert_eq!(escaped("Az09-._~"), "Az09-._~");
    assert_eq!(escaped("net/web:eth0?#%"), "net%2Fweb%3Aeth0%3F%23%25");
    assert_eq!(escaped("ü"), "%C3%BC");
}
