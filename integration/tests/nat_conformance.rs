//! Requirement by requirement: what the RFCs of address translation ask for, proved with raw packets from
//! both sides ([`tapweave_integration::conformance`]), of tapweave and of the kernel.
//!
//! ```text
//!   a   b  --- gateway --- host --- router --- server, client      all but the middle three play by hand
//! ```

#[cfg(test)]
mod once {
    use anyhow::Result;
    use tapweave_integration::site::Translator;
    use tapweave_integration::{Lab, Site, conformance};

    /// How many checks there are.
    const COUNT: usize = 38;

    /// Where the kernel's masquerade does otherwise, on purpose.
    const OF_THE_KERNEL: [&str; 11] = [
        // A mapping is for one destination: another destination sees another port.
        "rfc4787_req_1_a_mapping_does_not_depend_on_the_destination",
        "rfc4787_req_11_a_mapping_stays_as_it_is_when_others_come",
        "rfc5382_req_1_a_mapping_does_not_depend_on_the_destination",
        "rfc5508_req_1a_a_mapping_does_not_depend_on_the_destination",
        // Only who was sent something may answer, so that sandboxes cannot find each other by what a
        // third party saw of them.
        "rfc4787_req_8_filtering_does_not_depend_on_the_sender",
        "rfc5382_req_3_filtering_does_not_depend_on_the_sender",
        "rfc4787_req_9_hairpin_packets_come_from_the_outside_address",
        "rfc5382_req_8_hairpin_connections_come_from_the_outside_address",
        "rfc5508_req_7_hairpin_errors_are_translated",
        // Ports are taken at random.
        "rfc4787_req_4_parity_of_ports_is_kept",
        // The outside address is the host's own, which refuses what it does not expect.
        "rfc5382_req_4_an_unsolicited_syn_is_not_answered_at_once",
    ];

    #[test]
    fn the_kernel_does_what_is_required_but_for_known_exceptions() -> Result<()> {
        Lab::run(|lab| {
            let site = Site::new(lab, Translator::Kernel, &["", ""])?;
            conformance::expect(&site, COUNT, &OF_THE_KERNEL)
        })
    }

    #[test]
    fn tapweave_does_all_that_is_required() -> Result<()> {
        Lab::run(|lab| {
            let site = Site::new(lab, Translator::Tapweave, &["", ""])?;
            conformance::expect(&site, COUNT, &[])
        })
    }

    #[test]
    fn tapweave_does_all_that_is_required_on_a_lan() -> Result<()> {
        Lab::run(|lab| {
            let site = Site::new(lab, Translator::TapweaveNic, &["", ""])?;
            conformance::expect(&site, COUNT, &[])
        })
    }
}
