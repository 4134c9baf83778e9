//! Reading feedback messages (RFC 4585, RFC 5104) without the session having to know their types.

use rtc_rtcp::Packet;
use rtc_rtcp::payload_feedbacks::full_intra_request::FullIntraRequest;
use rtc_rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc_rtcp::payload_feedbacks::receiver_estimated_maximum_bitrate::ReceiverEstimatedMaximumBitrate;
use rtc_rtcp::receiver_report::ReceiverReport;
use rtc_rtcp::reception_report::ReceptionReport;
use rtc_rtcp::sender_report::SenderReport;
use rtc_rtcp::transport_feedbacks::transport_layer_cc::TransportLayerCc;
use rtc_rtcp::transport_feedbacks::transport_layer_nack::TransportLayerNack;

pub(crate) enum Feedback<'a> {
    Nack { ssrc: u32, lost: Vec<u16> },
    PictureLoss { ssrc: u32 },
    FullIntra { ssrcs: Vec<u32> },
    TransportCc(&'a TransportLayerCc),
    MaximumBitrate(u64),
    SenderReport { report: &'a SenderReport },
    ReceiverReport(&'a [ReceptionReport]),
    Other,
}

impl<'a> Feedback<'a> {
    pub(crate) fn read(packet: &'a dyn Packet) -> Self {
        let any = packet.as_any();
        if let Some(nack) = any.downcast_ref::<TransportLayerNack>() {
            let lost =
                nack.nacks.iter().flat_map(rtc_rtcp::transport_feedbacks::transport_layer_nack::NackPair::packet_list);
            return Self::Nack { ssrc: nack.media_ssrc, lost: lost.collect() };
        }
        if let Some(cc) = any.downcast_ref::<TransportLayerCc>() {
            return Self::TransportCc(cc);
        }
        if let Some(pli) = any.downcast_ref::<PictureLossIndication>() {
            return Self::PictureLoss { ssrc: pli.media_ssrc };
        }
        if let Some(fir) = any.downcast_ref::<FullIntraRequest>() {
            return Self::FullIntra { ssrcs: fir.fir.iter().map(|entry| entry.ssrc).collect() };
        }
        if let Some(sr) = any.downcast_ref::<SenderReport>() {
            return Self::SenderReport { report: sr };
        }
        if let Some(rr) = any.downcast_ref::<ReceiverReport>() {
            return Self::ReceiverReport(&rr.reports);
        }
        if let Some(remb) = any.downcast_ref::<ReceiverEstimatedMaximumBitrate>() {
            return Self::MaximumBitrate(remb.bitrate.max(0.0) as u64);
        }
        Self::Other
    }
}
